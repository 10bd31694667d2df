"""Turn a PyTorch network into an engine bundle whose one graph gives scores and evidence."""

from radiolucent.explain.compiler.compile import Compiled, compile_engine
from radiolucent.explain.compiler.plan import Plan

__all__ = ["Compiled", "Plan", "compile_engine"]
