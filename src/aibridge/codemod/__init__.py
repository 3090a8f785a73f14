"""Rewrites the Python code of users when a major version of the SDK renames things: `aibridge codemod v2 PATH`.

May import the standard library and libcst only: it knows the SDK as data, and can be used without a gateway. libcst
comes with the extra `codemod`; `tables` does without.

The import paths of the first generation that are rewritten are `codersdk` and all modules in it, to `aibridge.sdk`.
`aibridge.sdk` itself is read as well: names of the first generation that are left in a file of the second, or come back
with a merge, are rewritten all the same. What is assumed of the two:

* The first generation is a package with a flat set of modules: `codersdk.sse`, `codersdk.error`, `codersdk.appearance`;
  the package itself has every public name of its modules. So has `aibridge.sdk`.
* Its client is `Client` (or `AsyncClient`), in any module. No method of the second generation begins with `get_`.
* `bypass_ratelimits=` is an argument of the client. The second generation takes `headers=`, a mapping, in its place.
* An argument `role=` or `roles=` of what the SDK has is a role or a collection of roles; as a string it has the form
  `name` or `name:<organization uuid>`, which `RoleIdentifier.parse` reads.

Promises: only what is certain is rewritten, everything else stays byte for byte and is listed; a second run changes
nothing.
"""
