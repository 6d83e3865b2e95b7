"""A strict emulator of Bill.pt's REST API 1.0: its calls, its codes, its arithmetic, its limit, and faults on demand.

Written from the public documentation and public clients; what those leave open is a switch in `settings`. Master data
and sales documents are emulated; purchases, transport documents, opening balances, SMTP and mail templates are not.
"""

from syncd.sandbox.billpt.app import BillPt
from syncd.sandbox.billpt.faults import Fault, FaultKind
from syncd.sandbox.billpt.settings import Anonymous, Arithmetic, Clock, Credit, RateMode, Settings

__all__ = ["Anonymous", "Arithmetic", "BillPt", "Clock", "Credit", "Fault", "FaultKind", "RateMode", "Settings"]
