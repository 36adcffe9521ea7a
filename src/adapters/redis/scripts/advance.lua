#!lua flags=allow-oom
-- Notes that a room's log is stored up to a seq, and trims it but for a short tail (log protocol, rule 20).
--
-- Runs without memory too, and trims before it writes: only so is a full server ever emptied (rule 10).
--
-- KEYS    meta, stream, dirty rooms, changed heads
-- ARGV    1 epoch, 2 seq, 3 events that stay, 4 the room
-- Answer  {"OK"} or {"REFUSED"}

-- Changed heads are asked for every two seconds; who is farther behind reads all heads anew.
local HEADS_KEPT_MICROS = 60 * 1000000

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'archived')
local through = tonumber(ARGV[2])
if meta[1] ~= ARGV[1] or through > tonumber(meta[2]) then return {'REFUSED'} end

local archived = tonumber(meta[3])
if through > archived then
  local id = ARGV[1] .. '-' .. ARGV[2]
  local newest = redis.call('XRANGE', KEYS[2], id, id)[1]
  archived = through
  local first_kept = math.max(archived - tonumber(ARGV[3]) + 1, 0)
  redis.call('XTRIM', KEYS[2], 'MINID', ARGV[1] .. '-' .. string.format('%.0f', first_kept))
  redis.call('HSET', KEYS[1], 'archived', ARGV[2])
  if newest then redis.call('HSET', KEYS[1], 'archived_bytes', newest[2][4]) end
end
if archived == tonumber(meta[2]) then redis.call('SREM', KEYS[3], ARGV[4]) end

local time = redis.call('TIME')
local forgotten = tonumber(time[1]) * 1000000 + tonumber(time[2]) - HEADS_KEPT_MICROS
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', forgotten))
return {'OK'}
