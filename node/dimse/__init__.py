"""The DICOM upper layer and message exchange (PS3.7, PS3.8) for both ends: bounded, with deadlines, a thread each.

pynetdicom is not used: its threads and sockets can be held up by half-sent PDUs, and it takes half a second to load.
The tests have it at the other end, as a second opinion on every item.
"""
