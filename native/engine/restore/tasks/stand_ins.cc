#include "restore/tasks/stand_ins.h"

#include <algorithm>

namespace blcr {

StandIns::StandIns(Job& job) : job_(job) {
  taken_.insert(job.image.keeper);
  for (const image::Process& each : job.image.processes) {
    taken_.insert({each.pid, each.pgid, each.sid});
    for (const image::Task& task : each.tasks) taken_.insert(task.tid);
  }
}

Result<Stub*> StandIns::make(Stub* parent, int32_t number) {
  const SpawnRequest request{number, 0, 0};
  auto stub = parent != nullptr ? spawnFrom(job_, *parent, request) : spawnFromCoordinator(job_, request);
  if (!stub) return stub.error();
  all_.push_back({*std::move(stub), parent});
  return &all_.back().stub;
}

Status StandIns::end(StandIn& one) {
  BLCR_TRY(endStub(one.stub));
  std::erase(job_.spawned, one.stub.tid());
  return one.parent != nullptr ? reapIn(*one.parent, one.stub.tid()) : Status();
}

Status StandIns::end(Stub* one) {
  const auto found = std::find_if(all_.begin(), all_.end(), [one](const StandIn& each) { return &each.stub == one; });
  BLCR_TRY(end(*found));
  all_.erase(found);
  return {};
}

Status StandIns::endAll() {
  for (; !all_.empty(); all_.pop_back()) BLCR_TRY(end(all_.back()));
  return {};
}

int32_t StandIns::unusedNumber() {
  while (taken_.contains(lastUnused_)) ++lastUnused_;
  return lastUnused_++;
}

}  // namespace blcr
