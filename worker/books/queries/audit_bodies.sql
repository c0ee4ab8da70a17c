SELECT o.event_id, o.body FROM payments p JOIN outcomes o USING (event_id)
