-- Rows of the outbox say which relay publishes them. It has a number, under an advisory lock of its session: as long as the server
-- keeps that, no other relay takes them, and so it need not lock each row before it publishes. Rows without a number are whoever's
-- finds them. A relay of an earlier release takes no notice, and publishes a second time, under the same event_id, what it finds.
ALTER TABLE outbox ADD COLUMN relay integer;
CREATE SEQUENCE outbox_relays AS integer CYCLE;
