"""Loops that numba, the extra `fast`, compiles to machine code, and the plain form that each of them replaces.

`loops` names them, and `loop.CompiledLoop` decides when each is loaded. To add a loop:

1. Write the plain form in torch, numpy or scipy, where it is used. It stays: without numba it does the work.
2. Write the loop in a new module here: functions over arrays, compiled by `jit.compile_loop`, and by `jit.inner_loop`
   what they call. `exact=True` keeps the order of additions, for a loop that gives the bits of its plain form. The
   import of the module compiles the loop or loads it from numba's cache, so nothing imports it before it is needed.
3. A loop for steps of training has a function `for_dtype(dtype)` in its module, which compiles it for one type. Its
   gradients equal those of the plain form but for rounding.
4. Add it to `loops`. Its `min_work` is the amount of work for which the plain form takes about as much longer as it
   takes to load the loop: half a second, or up to two for a loop of several functions.
5. Where it is used, ask `loops.NAME.for_work(work)` or `loops.NAME.for_training(table)`. None asks for the plain form.
6. Test both forms against each other with `loops.NAME.always()` and `loops.NAME.never()`.
7. Add it to `PARTS` in `benchmarks/handwritten`. It stays only if its row says that it pays.
8. If a request of the service needs it, `service/models/loaded_model.py` loads it before the first one.
"""
