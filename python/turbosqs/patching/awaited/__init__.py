"""aiobotocore's SQS clients on the core, aioboto3's included.

    client.py     calls that have left aiobotocore: on to the core, or back
    call_path.py  what one client's calls on the core need, and whether a call may go there
    cores.py      what clients with the same settings share
    functions.py  what carries aiobotocore's calls
    signing.py    credentials for what sends by itself: consumers and iterators
    tracing.py    what instrumentation does around aiobotocore's requests
    settings.py   from what aiobotocore resolved to what the core is built from

Imported only where somebody else has imported aiobotocore.
"""
