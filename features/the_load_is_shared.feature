Feature: The load is shared
  A chart asks again and again for what it mostly has already.
  What is held is never asked for again; for the candle that is still forming two channels stand ready.

  Background:
    Given a desk in the middle of a minute
    And the desk holds every minute that is over

  Rule: The channels share the forming candle according to their health

    Scenario Outline: <state>
      Given <state>
      When the desk asks twenty times for the newest candles
      Then <rest> of the answers came through rest and the others through the websocket
      And every answer is complete and ends with the forming candle

      Examples:
        | state                     | rest |
        | both channels are healthy | 10   |
        | the websocket is degraded | 14   |
        | the websocket is poor     | 16   |
        | the websocket is out      | 20   |
        | rest is degraded          | 6    |
        | rest is poor              | 4    |
        | rest is out               | 0    |

  Rule: A channel that fails on its turn is replaced at once

    Scenario: The socket is lost
      Given the websocket has the next turn
      And the socket cannot be opened
      When the desk asks for the newest candles
      Then the answer came through rest
      And the plan had given the reason "they share the load by health"

  Rule: Whatever is held or followed costs nothing

    Scenario: A past that is held
      When the desk asks for the hour before
      Then the answer came from what is held, without a call
      And the plan had given the reason "nothing has to be asked"

    Scenario: A chart that is followed
      Given the desk follows the candles of a minute
      When the desk asks for the newest candles
      Then the answer came from what is held and from the socket's memory, without a call
      And the plan had given the reason "followed already"

    Scenario: A past that is held in part
      When the desk asks for the two hours before
      Then only what lacked was asked for, by one call
      And the plan had given the reason "only what is not held is asked for"

  Rule: The desk may prefer otherwise

    Scenario Outline: The policy <policy>
      Given the desk prefers <policy>
      When the desk asks twenty times for the newest candles
      Then <rest> of the answers came through rest and the others through <other>

      Examples:
        | policy          | rest | other         |
        | prefer-freshest | 20   | nobody        |
        | rest-only       | 20   | nobody        |
        | cache-only      | 0    | what is held  |
        | websocket-first | 10   | the websocket |
