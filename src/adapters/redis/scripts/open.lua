#!lua flags=allow-oom
-- Opens a room's log, empty, under the epoch of its fence (log protocol, rule 14 f).
--
-- Runs without memory too, and lets go of everything first (rule 10).
--
-- KEYS    meta, stream, keys 0, keys 1, dirty rooms, changed heads
-- ARGV    1 epoch, 2 replid that was fenced, 3 seq, 4 at, 5 ordinal, 6 state seq, 7 micros of salvage, 8 the room,
--         9 "1" for a room that takes nothing any more
-- Answer  {"OK"} or {"SUPERSEDED", epoch that stands, "" for none}

local meta = redis.call('HMGET', KEYS[1], 'fence', 'fence_replid', 'epoch')
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or replid ~= ARGV[2] then
  return {'SUPERSEDED', meta[1] or meta[3] or ''}
end

redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
redis.call('SREM', KEYS[5], ARGV[8])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function whole(number) return string.format('%.0f', number) end
redis.call('HDEL', KEYS[1], 'fence', 'fence_replid')
redis.call('HSET', KEYS[1], 'replid', replid, 'epoch', ARGV[1], 'seq', ARGV[3], 'at', ARGV[4], 'ordinal', ARGV[5],
  'state_seq', ARGV[6], 'archived', ARGV[3], 'bytes', '0', 'archived_bytes', '0',
  'opened_at', whole(now), 'salvage_until', whole(now + tonumber(ARGV[7])), 'turn', '0', 'turned_at', whole(now), 'turned_seq', '0')
if ARGV[9] == '1' then redis.call('HSET', KEYS[1], 'closed', '1') end
redis.call('ZADD', KEYS[6], whole(now), ARGV[8])
return {'OK'}
