Feature: Which channel serves
  The desk asks for market data and need not know where it comes from.
  It may always know: before it asks, as a plan; afterwards, as a trace.

  Background:
    Given a desk at an open market

  Rule: Each question goes to the channel that suits it, and the plan says why

    Scenario Outline: The desk asks for <what>
      When the desk asks for <what> of KRW-BTC
      Then the answer comes from <channel>
      And the plan had given the reason "<reason>"

      Examples:
        | what                    | channel   | reason                              |
        | 500 candles of a minute | rest      | bulk and stable                     |
        | the last 300 trades     | rest      | past trades are known to REST only  |
        | the price               | websocket | book and price belong to the socket |
        | the order book          | websocket | book and price belong to the socket |

  Rule: What is followed comes through the socket, as long as the exchange streams it

    Scenario Outline: The desk follows the <what>
      When the desk follows the <what> of KRW-BTC
      Then the data comes from <channel>
      And the plan had given the reason "<reason>"

      Examples:
        | what                | channel   | reason         |
        | prices              | websocket | live and cheap |
        | trades              | websocket | live and cheap |
        | order books         | websocket | live and cheap |
        | candles of a minute | websocket | live and cheap |

    Scenario: The candle of a day, which the exchange does not stream, is made of its minutes
      When the desk follows the candles of a day of KRW-BTC
      Then the day moves as its minutes do, and says that it was derived
      And the exchange is asked at most twice a minute
      And the plan had given the reason "its minutes are streamed"

    Scenario: A price that is followed already costs nothing more
      Given the desk already receives the prices of KRW-BTC through the websocket
      When the desk asks for the price of KRW-BTC
      Then the answer comes from websocket
      And the plan had given the reason "in memory and free"

  Rule: A channel that was reported bad is left alone for a while

    Scenario: The price comes from elsewhere
      Given the desk has reported the websocket as bad
      When the desk asks for the price of KRW-BTC
      Then the answer comes from rest
      And the plan had said that the websocket is not asked

    Scenario: After its cool-down it is asked again
      Given the desk has reported the websocket as bad
      When the cool-down has passed
      Then the price of KRW-BTC comes from the websocket again

  Rule: The plan is known before, and the trace tells what became of it

    Scenario: Nobody is asked for a plan
      When the desk asks for the plan of 500 candles
      Then the plan names rest at a cost of 3 calls
      And the exchange has not been asked

    Scenario: The answer carries the plan with what happened
      When the desk asks for 500 candles of a minute of KRW-BTC
      Then the trace follows the plan
      And the trace tells that rest brought 500 rows in 3 calls
