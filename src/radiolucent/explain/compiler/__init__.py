"""Turn a PyTorch network into an engine bundle whose one graph gives scores and evidence."""

from radiolucent.explain.compiler.compile import Compiled, Plan, compile_engine

__all__ = ["Compiled", "Plan", "compile_engine"]
