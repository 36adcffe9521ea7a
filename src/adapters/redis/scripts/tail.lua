#!lua flags=no-writes
-- Reads where a room's log stands, and its events above a seq, at one moment.
--
-- KEYS    meta, stream
-- ARGV    1 seq, 2 events at most
-- Answer  {"OK", epoch, seq, at, ordinal, state seq, archived, "1" when closed, each event} or {"COLD"}

local meta = redis.call('HMGET', KEYS[1], 'replid', 'epoch', 'seq', 'at', 'ordinal', 'state_seq', 'archived', 'closed')
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not replid or meta[1] ~= replid then return {'COLD'} end

local answer = {'OK', meta[2], meta[3], meta[4], meta[5], meta[6], meta[7], meta[8] and '1' or '0'}
local after, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
if limit == 0 or after >= tonumber(meta[3]) then return answer end
local first = meta[2] .. '-' .. string.format('%.0f', after + 1)
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], first, '+', 'COUNT', ARGV[2])) do
  answer[#answer + 1] = entry[2][2]
end
return answer
