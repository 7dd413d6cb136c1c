Feature: Failover
  Channels break. Whoever follows the market keeps receiving it, misses nothing and gets nothing twice;
  whoever asks gets an answer as long as one channel lives, and an honest error when none does.

  Background:
    Given a desk at an open market

  Rule: A lost socket costs nobody any data

    Scenario: Trades go on
      Given the desk already receives the trades of KRW-BTC through the websocket
      When the socket is lost for a while
      Then the trades go on through rest and come back to the websocket
      And no trade is missing and none came twice

    Scenario: Prices go on
      Given the desk already receives the prices of KRW-BTC through the websocket
      When the socket is lost for a while
      Then the prices go on through rest and come back to the websocket
      And each price was a price of the market

    Scenario: Candles go on
      Given the desk already receives the candles of a minute of KRW-BTC through the websocket
      When the socket is lost for a while
      Then the candles go on through rest and come back to the websocket
      And every minute became final exactly once, in order, as the market made it

    Scenario: The desk is told which channel delivers, and why it changed
      Given the desk already receives the trades of KRW-BTC through the websocket
      When the socket is lost for a while
      Then the desk is told of the change to rest and of the change back
      And each change has a reason

  Rule: A code that falls silent while its socket lives is found

    Scenario: One code falls silent
      Given the desk already receives the trades of KRW-BTC through the websocket
      When KRW-BTC alone falls silent for a while
      Then the trades go on through rest and come back to the websocket
      And no trade is missing and none came twice

  Rule: A lost REST costs nobody what the socket can bring

    Scenario Outline: The desk asks for <what> while REST is down
      Given REST is down
      When the desk asks for <what> of KRW-BTC
      Then the answer comes from websocket

      Examples:
        | what           |
        | the price      |
        | the order book |

    Scenario: The newest candle still comes
      Given REST is down
      When the desk asks for the newest candle of KRW-BTC
      Then the answer comes from websocket
      And the trace tells that rest failed first

    Scenario: What is followed goes on
      Given the desk already receives the prices of KRW-BTC through the websocket
      When REST breaks down
      Then the prices go on through the websocket without a change

  Rule: A lost socket leaves every question answered

    Scenario Outline: The desk asks for <what> while the socket is lost
      Given the socket cannot be opened
      When the desk asks for <what> of KRW-BTC
      Then the answer comes from rest

      Examples:
        | what           |
        | the price      |
        | the order book |

  Rule: When everything is down, the desk is told what is wrong with each channel

    Scenario: A question
      Given REST is down
      And the socket cannot be opened
      When the desk asks for the price of KRW-BTC
      Then the error names what is wrong with rest and with websocket

    Scenario: A stream
      Given the desk already receives the prices of KRW-BTC through the websocket
      When the whole exchange goes down
      Then the desk is told how old its data is getting
      And its stream has not ended

    Scenario: The exchange comes back
      Given the desk follows prices through an exchange that went down
      When the exchange comes back
      Then the desk is told that its stream has recovered
      And new prices arrive
