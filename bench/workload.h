#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bench/session.h"

namespace mmbatch::bench {

/// Something to measure: one file in workloads/, one line in the table of workload.cpp.
struct Workload {
  std::string_view name;
  std::string_view measures;  // for people
  void (*run)(Session& session);
};

std::span<const Workload> workloads();
/// @throws UsageError that names the nearest one
const Workload& find_workload(const std::string& name);

void run_load(Session& session);
void run_gemm(Session& session);
void run_attention(Session& session);
void run_vision(Session& session);
void run_multimodal(Session& session);
void run_prefill(Session& session);
void run_long_prefill(Session& session);
void run_decode(Session& session);
void run_experts(Session& session);
void run_processes(Session& session);
void run_preprocess(Session& session);
void run_tokenizer(Session& session);
void run_constraint(Session& session);
void run_store(Session& session);
void run_pipeline(Session& session);
void run_ablation(Session& session);

}  // namespace mmbatch::bench
