"""The reading room: pages and an API over HTTP; who may see what is asked of `rollout.policy` on every request."""
