"""The DICOM upper layer and message exchange (PS3.7, PS3.8) for both ends: bounded, with deadlines, a thread each.

The only package that imports pynetdicom: its classes encode and decode the items of association negotiation and list
the SOP classes. Its threads, sockets and state machine are not used (they can be held up by half-sent PDUs).
"""
