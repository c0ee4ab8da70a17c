-- Rows of the outbox say which relay publishes them. It has a number, under an advisory lock of its session: while that lives no
-- other relay takes them, and so it need not lock each row before it publishes. A relay of an earlier release takes no notice, and
-- publishes a second time, under the same event_id, what it finds in the moment between commit and publish.
ALTER TABLE outbox ADD COLUMN relay integer;
CREATE SEQUENCE outbox_relays AS integer CYCLE;
