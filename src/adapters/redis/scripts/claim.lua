#!lua flags=allow-oom
-- Gives a room to one archiver for a while (log protocol, rule 19: for economy, not for safety).
--
-- Runs without memory too, for archiving is what frees it.
--
-- KEYS    claim
-- ARGV    1 who claims, 2 for how many milliseconds
-- Answer  {"OK"} or {"HELD"}

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {'HELD'} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'OK'}
