"""Where counts live, and what rules make of them.

`Limits` finds the rules a call falls under, asks one of the places that count (`Counts`: this process, the supervisor
of the workers of one host, Redis or Valkey) and explains a refusal. The data plane is the same over all three. May
import `domain` and `overload`; promises that what a call takes is taken all or none, and comes back however it ends.
"""
