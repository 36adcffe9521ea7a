#!lua flags=allow-oom
-- Takes or renews the lease of a node, and tells who has one. Without a node: only tells.
--
-- Time is the server's alone, so that nodes need not agree on it. Runs without memory too: a full server shall not
-- look like the death of all nodes.
--
-- KEYS    ends of leases by node, what leases say
-- ARGV    1 node ("" for none), 2 life, 3 what it says, 4 milliseconds, 5 "1" when it believes to have it
-- Answer  {"HELD"}, {"LOST"} or {"TAKEN"}, followed for each lease by: node, life, milliseconds that remain, what it says

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, node in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE')) do
  redis.call('ZREM', KEYS[1], node)
  redis.call('HDEL', KEYS[2], node, node .. ':life')
end

local answer = {'HELD'}
if ARGV[1] ~= '' then
  local life = redis.call('HGET', KEYS[2], ARGV[1] .. ':life')
  if life and life ~= ARGV[2] then return {'TAKEN'} end
  if not life and ARGV[5] == '1' then return {'LOST'} end
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[4]), ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3], ARGV[1] .. ':life', ARGV[2])
  -- Nothing stays behind when all nodes are gone.
  local longest = tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
  for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, string.format('%.0f', longest)) end
end

for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local says, life = unpack(redis.call('HMGET', KEYS[2], node, node .. ':life'))
  local remains = tonumber(redis.call('ZSCORE', KEYS[1], node)) - now
  if says and life then
    for _, item in ipairs({node, life, string.format('%.0f', remains), says}) do answer[#answer + 1] = item end
  end
end
return answer
