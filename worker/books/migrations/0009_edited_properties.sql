-- An edit can change what a dead letter is said to be and by what key it goes; what that was before is kept, as the body is.
ALTER TABLE dead_letter_actions ADD COLUMN properties_before json;
