#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/model_place.h"
#include "jobs/manifest/manifest.h"

namespace mmbatch {

/// The files of one command: what it reads, and what it writes. They are told apart by device and inode, so
/// that links of both kinds lead to what they mean; a file that is not there yet is its folder's inode and
/// its name. Devices, pipes and terminals are not files. The standard output and the standard error are
/// written to by every command, wherever they were led.
class FileRoles {
 public:
  FileRoles();
  ~FileRoles();
  FileRoles(const FileRoles&) = delete;
  FileRoles& operator=(const FileRoles&) = delete;

  /// @param what it is, for messages: "the manifest", "--summary-json"
  void reads(const std::string& what, const std::filesystem::path& file);
  /// What a model is read from: a file and its shards, or the files of a folder that are a checkpoint's; and
  /// what is put to it. Not by a name such as hf:OWNER/NAME.
  void reads(const ModelPlace& model);
  /// The manifest and its listings.
  void reads(const Manifest& manifest);
  /// The template's file, where a turn format is one.
  void reads_turn_format(const std::string& format);
  /// With the files that SQLite and a run keep beside it.
  void reads_database(const std::filesystem::path& file);
  void reads_standard_input();
  void writes(const std::string& what, const std::filesystem::path& file);
  /// With the lock that is held while lines are appended to it.
  void writes_locked(const std::string& what, const std::filesystem::path& file);
  /// With the files that SQLite and a run keep beside it.
  void writes_database(const std::filesystem::path& file);

  /// Nothing is opened except for a look at the beginning of what would be overwritten.
  /// @throws UsageError that names both when a file is written and read, or written twice; when an image
  /// would be overwritten, whichever items may ask about it. As check_standard_streams() for what the
  /// standard streams would write into
  /// @throws OutputError that says why the file of an option cannot be there
  void check() const;

 private:
  struct Role;
  void add(std::vector<Role>& roles, const std::string& what, const std::filesystem::path& file);
  void reads_folder(const std::string& what, const std::filesystem::path& folder);
  void check_streams() const;
  static void check_overwritten(const Role& written);
  static void check_place(const Role& written);

  std::vector<Role> read_, written_;
};

}  // namespace mmbatch
