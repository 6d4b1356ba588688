-- Coroutines, closures, a table with weak keys, a child through a pipe and a file that grows in Lua. Usage: generators.lua ROUNDS
local function primes()
  return coroutine.wrap(function()
    local found = {}
    local candidate = 2
    while true do
      local prime = true
      for _, divisor in ipairs(found) do
        if divisor * divisor > candidate then break end
        if candidate % divisor == 0 then prime = false break end
      end
      if prime then
        found[#found + 1] = candidate
        coroutine.yield(candidate)
      end
      candidate = candidate + 1
    end
  end)
end

local names = setmetatable({}, { __mode = "k" })
local kept = {}
local grown = assert(io.tmpfile())
local nextPrime = primes()
local sum = 0
for round = 1, tonumber(arg[1]) do
  for _ = 1, 50 do sum = sum + nextPrime() end
  kept[round % 5] = {}
  names[kept[round % 5]] = "round " .. round
  collectgarbage("step")
  local child = assert(io.popen("sleep 0.04; echo " .. round * 3))
  local answer = child:read("n")
  local _, how, status = child:close()
  grown:write(round, "\n")
  grown:seek("set")
  local lines = 0
  for _ in grown:lines() do lines = lines + 1 end
  print("round", round, sum, answer, how, status, lines, names[kept[round % 5]])
  io.stdout:flush()
  local enough = io.open("enough")
  if enough then enough:close() break end
end
print("end " .. sum)
