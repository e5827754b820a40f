#pragma once

#include <span>

#include "jobs/manifest/manifest.h"
#include "jobs/output/file_roles.h"
#include "pipeline/run/run.h"

namespace mmbatch {

/// A manifest, and where its model and its results are.
struct PlannedRun {
  Manifest manifest;
  ModelPlace model;
  std::filesystem::path database;
};

/// The model's files are inputs, also where it is found by a name.
void reads_model(FileRoles& files, const ModelPlace& model);

/// What is known before any manifest is read, so that not even a fault of theirs is written into one.
/// @throws UsageError
void check_named_files(const RunOptions& options);

/// Looks at all manifests of a command together; several may write to one database. Called before anything is
/// opened for writing.
/// @throws UsageError when one would overwrite a file that any of them reads, or write one file twice
void check_outputs(const RunOptions& options, std::span<const PlannedRun> runs);

}  // namespace mmbatch
