Feature: Subscriptions
  A desk follows more and fewer codes while the market runs. What others do never costs a follower any data,
  and what the exchange does not stream is said.

  Background:
    Given a desk at an open market

  Rule: Who follows a code loses nothing because others come and go

    Scenario: Other codes come and go
      Given the desk already receives the trades of KRW-BTC through the websocket
      When five more codes are followed one after another, and two of them are left again
      Then at most three connections remain open
      And the trades of KRW-BTC are complete, each once, and never left the websocket

    Scenario: A second follower of the same code
      Given the desk already receives the trades of KRW-BTC through the websocket
      When somebody else follows the trades of KRW-BTC
      Then no further subscription is made

  Rule: A code of which the stream tells nothing is named

    Scenario: The stream is silent about a code from the beginning
      Given the stream tells nothing of KRW-BTC
      When the desk waits for the trades of KRW-BTC
      Then the desk is told that the stream probably does not know the trades of KRW-BTC
      And the data comes from rest
