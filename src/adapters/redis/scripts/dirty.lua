#!lua flags=no-writes
-- Finds rooms with events that are not archived.
--
-- KEYS    dirty rooms of each shard
-- ARGV    1 rooms at most
-- Answer  the rooms

local most, answer = tonumber(ARGV[1]), {}
-- Begins at any shard: when there are more than can be told, it is others each time.
local first = tonumber(redis.call('TIME')[2])
for i = 1, #KEYS do
  if #answer >= most then break end
  for _, room in ipairs(redis.call('SRANDMEMBER', KEYS[(first + i) % #KEYS + 1], most - #answer)) do
    answer[#answer + 1] = room
  end
end
return answer
