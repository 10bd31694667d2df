"""Synthetic studies with known truth."""

from radiolucent.phantom.studies import PhantomStudy, arrays, make_study

__all__ = ["PhantomStudy", "arrays", "make_study"]
