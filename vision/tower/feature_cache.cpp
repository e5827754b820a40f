#include "vision/tower/feature_cache.h"

namespace mmbatch {

bool FeatureCache::request(const std::string& key, Ready ready) {
  Features found;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) {
      const auto [waiting, is_first] = in_flight_.try_emplace(key);
      waiting->second.push_back(std::move(ready));
      ++(is_first ? misses_ : hits_);
      return is_first;
    }
    ++hits_;
    ages_.splice(ages_.end(), ages_, entry->second.age);
    found = entry->second.features;
  }
  ready(found);
  return false;
}

void FeatureCache::finish(const std::string& key, Result<Features> features) {
  std::vector<Ready> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto found = in_flight_.find(key);
    if (found == in_flight_.end()) return;
    waiting = std::move(found->second);
    in_flight_.erase(found);
    if (features) keep(key, features.value());
  }
  for (const Ready& ready : waiting) ready(features);
}

void FeatureCache::keep(const std::string& key, const Features& features) {
  if (features->bytes() > budget_) return;
  const auto age = ages_.insert(ages_.end(), key);
  entries_[key] = {features, age};
  bytes_ += features->bytes();
  while (bytes_ > budget_) {
    const auto oldest = entries_.find(ages_.front());
    bytes_ -= oldest->second.features->bytes();
    entries_.erase(oldest);
    ages_.pop_front();
  }
}

std::size_t FeatureCache::hits() const {
  const std::lock_guard lock(mutex_);
  return hits_;
}

std::size_t FeatureCache::misses() const {
  const std::lock_guard lock(mutex_);
  return misses_;
}

std::size_t FeatureCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace mmbatch
