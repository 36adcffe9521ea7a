#!lua flags=allow-oom
-- Makes a room's log cold until it is opened under this epoch or a newer one, and returns all it holds, of any
-- epoch (log protocol, rule 14 b).
--
-- Runs without memory too: a log that cannot be fenced cannot be opened, and opening frees what it held.
--
-- On a cluster it also compares whose shard it is (rule 18): there a connection comes back by itself, and may lead to
-- the servers of another deployment, which look like ours that lost everything.
--
-- KEYS    meta, stream; on a cluster, the name of the deployment that the shard belongs to
-- ARGV    1 epoch; on a cluster, 2 the name of the deployment
-- Answer  {"OK", replid, each event}, {"SUPERSEDED", epoch} or {"FOREIGN", deployment}

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'fence')
local epoch = tonumber(ARGV[1])
if meta[1] and tonumber(meta[1]) >= epoch then return {'SUPERSEDED', meta[1]} end
if meta[2] and tonumber(meta[2]) > epoch then return {'SUPERSEDED', meta[2]} end

local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not replid then return redis.error_reply('ERR the server does not tell its replication id') end
if KEYS[3] then
  local owner = redis.call('GET', KEYS[3])
  if owner and owner ~= ARGV[2] then return {'FOREIGN', owner} end
  -- It lost its data.
  if not owner then redis.call('SET', KEYS[3], ARGV[2]) end
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'fence_replid', replid)
redis.call('HDEL', KEYS[1], 'replid')

local answer = {'OK', replid}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do answer[#answer + 1] = entry[2][2] end
return answer
