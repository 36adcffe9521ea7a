#!lua flags=allow-oom
-- Notes that somebody signed out, for nodes that do not hear it now, and forgets what was noted long ago.
--
-- KEYS    who signed out, by when, in microseconds
-- ARGV    1 who, 2 microseconds that a note is kept
-- Answer  {"OK"}

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
-- Strictly increasing: who has read up to one note misses none after it.
if newest then now = math.max(now, tonumber(newest) + 1) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - tonumber(ARGV[2])))
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[2]) / 1000))
return {'OK'}
