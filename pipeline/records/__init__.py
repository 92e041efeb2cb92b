"""The format of records: what a shard and a record set hold."""
