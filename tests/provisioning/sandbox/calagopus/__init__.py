"""The sandbox Calagopus: what the recording can not show, its switches and its misbehaviour."""
