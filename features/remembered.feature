Feature: Remembered
  What the exchange has told once is kept on this computer and need not be asked for again. What is kept
  is compared with the exchange wherever the two meet, and what is not known is said.

  Background:
    Given a desk at noon

  Rule: Nothing is asked twice

    Scenario: The same question again
      Given the desk has asked for the hours from 2 to 10 of KRW-BTC
      When the desk asks for the hours from 2 to 10 of KRW-BTC
      Then the exchange is not asked
      And the answer is the one that the desk had before

    Scenario: The same question on the next morning
      Given the desk has asked for the hours from 2 to 10 of KRW-BTC
      And the desk has been closed for a while and opened again
      When the desk asks for the hours from 2 to 10 of KRW-BTC
      Then the exchange is not asked
      And the answer is the one that the desk had before

    Scenario: Silence is remembered too
      Given the desk has asked for the hours from 2 to 10 of KRW-AWE
      When the desk asks for the hours from 2 to 10 of KRW-AWE
      Then the exchange is not asked
      And the same minutes are known to be quiet

    Scenario: Only what lacks is asked for
      Given the desk has asked for the hours from 2 to 7 of KRW-BTC
      When the desk asks for the hours from 4 to 10 of KRW-BTC
      Then the exchange is asked once, for the hours from 7 to 10
      And no minute lacks
      And what was held and what is new are proven to fit at 7

    Scenario: What was followed need not be asked for
      Given the desk already receives the candles of a minute of KRW-BTC through the websocket
      And three of these minutes have become final
      When the desk asks for the minutes that it has followed
      Then the exchange is not asked
      And the answer is the one that the desk had before

  Rule: What is not known is said

    Scenario: The exchange is down
      Given the desk has asked for the hours from 2 to 7 of KRW-BTC
      And REST is down
      When the desk asks for the hours from 2 to 10 of KRW-BTC
      Then the hours from 2 to 7 are there
      And the hours from 7 to 10 lack because they are UNKNOWN
      And the trace tells that the answer may be stale

    Scenario: A market that is gone
      Given the desk has asked for the hours from 2 to 7 of KRW-XRP
      And KRW-XRP is no longer listed
      When the desk asks for the hours from 2 to 10 of KRW-XRP
      Then the hours from 2 to 7 are there
      And the hours from 7 to 10 lack because they are DELISTED

    Scenario: Nobody traded, or nobody could
      Given the exchange once stood still for six hours
      And the desk has asked for that night of the large markets
      When the desk asks for that night of KRW-AWE
      Then the six hours are an outage
      And other minutes without a candle are minutes without a trade

    Scenario: The desk looks at what it has
      Given the desk has asked for the hours from 2 to 7 of KRW-BTC
      When the desk looks at what it holds of the hours from 2 to 10
      Then it sees candles until 7 and a hole until 10
      And the exchange is not asked

    Scenario: Whoever needs all of it is not given half
      Given the desk has asked for the hours from 2 to 7 of KRW-BTC
      And REST is down
      When the desk asks for the hours from 2 to 10 of KRW-BTC
      Then a strict reader is refused, and told what lacks

  Rule: The exchange has the last word

    Scenario: One candle was changed
      Given the desk holds one minute of the hours from 2 to 7 that the exchange has changed since
      And the desk already receives the candles of a minute of KRW-BTC through the websocket
      When the desk asks for the hours from 4 to 10 of KRW-BTC
      Then that minute is as the exchange tells it now
      And the desk is told of both views of it
      And what was held and what is new were repaired at 7

    Scenario: A whole past was changed
      Given the desk has asked for the hours from 2 to 7 of KRW-ETH
      And the exchange has made one KRW-ETH into ten
      When the desk asks for the hours from 2 to 10 of KRW-ETH while it follows it
      Then every candle of the past is as the exchange tells it now
      And the desk is told that history was rewritten
      And what was held before is set aside and not lost

  Rule: A download goes on where it stopped

    Scenario: Interrupted, and started again
      Given a download of three days of KRW-ETH that was interrupted half-way
      When the same download is started again
      Then it brings what lacked and nothing twice
      And the three days are as the market made them

    Scenario: Finished, and started again
      Given a download of three days of KRW-ETH that has finished
      When the same download is started again
      Then the exchange is not asked
      And the three days are as the market made them

  Rule: A day must equal its minutes

    Scenario: An honest day
      When the desk audits yesterday
      Then the day and its 24 hours equal its minutes

    Scenario: A minute that is wrong
      Given one minute of yesterday is held wrongly
      When the desk audits yesterday
      Then the day and the hour of that minute differ from their minutes

    Scenario: A minute that was wrong
      Given one minute of yesterday is held wrongly
      When the desk audits yesterday and has it repaired
      Then one candle has been changed
      And the day and its 24 hours equal its minutes

  Rule: A follower can go on after a restart

    Scenario: Trades
      Given the desk already receives the trades of KRW-BTC through the websocket
      And the desk has been closed for a while and opened again
      When the desk goes on after the last trade that it had
      Then every trade since then came exactly once

    Scenario: Candles
      Given the desk already receives the candles of a minute of KRW-BTC through the websocket
      And three of these minutes have become final
      And the desk has been closed for a while and opened again
      When the desk goes on after the last candle that it had as final
      Then every minute became final exactly once, in order
