"""Judging the room's algorithms on a virtual clock: hours of traffic in a second, the same in every run.

    report = run(Scenario(flows=(Flow("all", rate=25.0),), gateway=GatewayRule(limiter=...)), luck)

People (`traffic`) send calls through a gateway made of this room's own primitives (`gateway`) to a provider that has
so many slots and no more (`upstream`); `report` says what came of it. Like its neighbours it knows no chance: `luck`,
a source of uniform numbers in [0, 1), is an argument, and all that happens follows from it.

The defaults are a busy language model: 100 slots, answers of 8 s on average with a heavy tail, a first byte after
0.3 s. Three properties of the model matter to what is judged. A slot is held for the first byte, too, so that a
gateway that knows the 100 serves about 95 % of `slots / mean`, and not all. Whoever has to wait more than its patience
takes the answer but does not count as served. A call that has begun is finished, also in a brown-out.
"""
