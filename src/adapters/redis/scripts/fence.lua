#!lua flags=allow-oom
-- Makes a room's log cold until it is opened under this epoch or a newer one, and returns all it holds, of any
-- epoch (log protocol, rule 14 b).
--
-- Runs without memory too: a log that cannot be fenced cannot be opened, and opening frees what it held.
--
-- KEYS    meta, stream
-- ARGV    1 epoch
-- Answer  {"OK", replid, each event} or {"SUPERSEDED", epoch}

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'fence')
local epoch = tonumber(ARGV[1])
if meta[1] and tonumber(meta[1]) >= epoch then return {'SUPERSEDED', meta[1]} end
if meta[2] and tonumber(meta[2]) > epoch then return {'SUPERSEDED', meta[2]} end

local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not replid then return redis.error_reply('ERR the server does not tell its replication id') end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'fence_replid', replid)
redis.call('HDEL', KEYS[1], 'replid')

local answer = {'OK', replid}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do answer[#answer + 1] = entry[2][2] end
return answer
