Feature: One format
  The same market looks the same whatever channel brought it, and never passes for another market.

  Background:
    Given a desk at an open market

  Rule: Both channels tell the same story

    Scenario: The same minute from both
      Given the desk already receives the candles of a minute of KRW-BTC through the websocket
      When a followed minute has become final
      Then rest gives the same candle of that minute

    Scenario: The same trades from both
      Given the desk already receives the trades of KRW-BTC through the websocket
      When the desk asks for the last 300 trades of KRW-BTC
      Then every trade that both brought is one and the same

    Scenario Outline: Every piece of data names its market and its source
      When the desk follows the <what> of KRW-BTC
      Then every piece of data names its symbol, its venue and its source
      And every instant is in UTC

      Examples:
        | what                |
        | candles of a minute |
        | prices              |
        | trades              |
        | order books         |

  Rule: Numbers are exact

    Scenario: Candles are what the market made, to the last digit
      When the desk asks for 500 candles of a minute of KRW-BTC
      Then every finished candle equals the market's own to the last digit
      And no number is written with an exponent

    Scenario: Trades are what the market made, to the last digit
      When the desk asks for the last 300 trades of KRW-BTC
      Then every trade equals the market's own to the last digit

  Rule: A candle says how final it is, and why

    Scenario: From forming to final
      Given the desk already receives the candles of a minute of KRW-BTC through the websocket
      When a followed minute has become final
      Then that minute was forming first and final last
      And it says what made it final

    Scenario: History says which candle still moves
      When the desk asks for 500 candles of a minute of KRW-BTC
      Then old candles are final and the newest is not

  Rule: Missing is not the same as unknown

    Scenario: Minutes in which nobody traded
      Given an hour in which nobody could trade
      When the desk asks for the candles around that hour
      Then that hour is quiet, with a reason
      And nothing is unknown

  Rule: A practice market never passes for the exchange

    Scenario: Its data says so
      When the desk asks for 500 candles of a minute of KRW-BTC
      Then every candle says that it comes from a sandbox

    Scenario: Two practice markets are two venues
      When the desk opens another practice market with another seed
      Then the two have different venues
