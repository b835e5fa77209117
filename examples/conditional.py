"""p(x | c): the moons again, where the context says which one."""

import diffeo
from moons import moons

x, moon = moons(6000, seed=0)
context = moon[:, None].astype(float)

flow = diffeo.realnvp(dim=2, context_dim=1, transforms=4)
print(flow.fit(x, context, max_epochs=12, batch_size=256, lr=3e-3))

# One row of context serves all samples; which moon did this point come from?
for which in 0.0, 1.0:
    print(f"moon {which:.0f}:", *flow.sample(3, context=[which], seed=1).round(2))
log_prob = flow.log_prob([[0.0, 1.0], [0.0, 1.0]], [[0.0], [1.0]])
print(f"(0, 1) has log-density {log_prob[0]:.1f} in moon 0 and {log_prob[1]:.1f} in moon 1")
