"""Where results go: each destination takes a package, gives a receipt, or says whether a retry makes sense."""

from radiolucent.results.destinations.package import Destination, Package, Receipt

__all__ = ["Destination", "Package", "Receipt"]
