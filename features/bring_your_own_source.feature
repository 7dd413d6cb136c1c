Feature: Bring your own source
  Whoever has another source of market data installs it beside ours. It is used like one of ours,
  and if it is broken, only it is broken.

  Background:
    Given an open market

  Rule: An installed source is found

    Scenario: It is listed with what it can do
      Given somebody's archive of hourly candles is installed
      When the desk opens
      Then the archive stands beside rest and websocket
      And it is listed with its hours and nothing else

    Scenario: It can be asked by name
      Given somebody's archive of hourly candles is installed
      When the desk opens
      Then the hours of archive:BTC/KRW come from the archive

  Rule: It takes over when ours fail

    Scenario: Ours answer as long as they can
      Given somebody's archive of hourly candles is installed
      When the desk opens
      Then the hours of KRW-BTC come from rest

    Scenario: Ours have failed
      Given somebody's archive of hourly candles is installed
      And REST is down
      When the desk opens
      Then the hours of KRW-BTC come from the archive
      And the trace tells that rest failed first

    Scenario: It is not asked for what it does not have
      Given somebody's archive of hourly candles is installed
      And REST is down
      When the desk opens
      Then the minutes of KRW-BTC cannot be had, and the archive was not asked

  Rule: A broken source harms nobody

    Scenario Outline: A source that <fault>
      Given a source is installed that <fault>
      When the desk opens
      Then the problem is reported as "<problem>"
      And the hours of KRW-BTC come from rest

      Examples:
        | fault              | problem                          |
        | cannot be found    | cannot be loaded from            |
        | fails at its start | RuntimeError: no licence file    |
        | is no source       | is no Channel: it lacks name     |
        | takes our name     | one of the two has to be renamed |

  Rule: The desk may decide itself which channel serves

    Scenario: A policy of its own
      Given somebody's archive of hourly candles is installed
      When the desk opens with a policy that prefers the archive
      Then the hours of KRW-BTC come from the archive
      And the trace names that policy and its reason
