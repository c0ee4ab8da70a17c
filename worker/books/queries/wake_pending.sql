UPDATE pending SET wake_at = $2 WHERE awaits && $1::text[] AND wake_at > $2
