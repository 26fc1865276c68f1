// Completion scripts. All three shells get the same table: the words that may follow a path of
// subcommands; anything else is completed as a file name.
#include <cctype>
#include <string>
#include <vector>

#include "fmt/ranges.h"
#include "proto/cli/cli.h"

namespace crowdteach::cli {
namespace {

struct Node {
  std::string path;  // "serve", "ledger verify"; "" is the program itself
  std::vector<std::string> words;
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node{path, {}};
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* subcommand : subcommands) node.words.push_back(subcommand->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) node.words.push_back("--" + name);
    for (const std::string& name : option->get_snames()) node.words.push_back("-" + name);
  }
  nodes.push_back(std::move(node));
  for (const CLI::App* subcommand : subcommands) {
    const std::string name = subcommand->get_name();
    Collect(*subcommand, path.empty() ? name : path + " " + name, nodes);
  }
}

std::string FunctionName(std::string_view program) {
  std::string name = "_";
  for (const char c : program) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

// The path is made of the words that are subcommands, so options may stand between them.
std::string BashFunction(std::string_view program, const std::vector<Node>& nodes) {
  std::string script = fmt::format(
      "{}() {{\n  local current=\"${{COMP_WORDS[COMP_CWORD]}}\" path=\"\" words=\"\" i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n    case \"$path ${{COMP_WORDS[i]}}\" in\n",
      FunctionName(program));
  for (const Node& node : nodes) {
    if (!node.path.empty()) script += fmt::format("      \" {0}\") path=\" {0}\" ;;\n", node.path);
  }
  script += "    esac\n  done\n  case \"$path\" in\n";
  for (const Node& node : nodes) {
    script += fmt::format("    \"{}{}\") words=\"{}\" ;;\n", node.path.empty() ? "" : " ",
                          node.path, fmt::join(node.words, " "));
  }
  return script +
         "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  if ((${#COMPREPLY[@]} == 0)); then COMPREPLY=($(compgen -f -- \"$current\")); fi\n}\n";
}

std::string FishScript(std::string_view program, const std::vector<Node>& nodes) {
  std::string script;
  for (const Node& node : nodes) {
    const std::string condition = node.path.empty()
                                      ? "__fish_use_subcommand"
                                      : fmt::format("__fish_seen_subcommand_from {}", node.path);
    for (const std::string& word : node.words) {
      script +=
          word.starts_with("--")
              ? fmt::format("complete -c {} -n '{}' -l {}\n", program, condition, word.substr(2))
          : word.starts_with("-")
              ? fmt::format("complete -c {} -n '{}' -s {}\n", program, condition, word.substr(1))
              : fmt::format("complete -c {} -n '{}' -a {}\n", program, condition, word);
    }
  }
  return script;
}

}  // namespace

StatusOr<std::string> CompletionScript(const CLI::App& app, std::string_view shell) {
  std::vector<Node> nodes;
  Collect(app, "", nodes);
  const std::string program = app.get_name();
  if (shell == "fish") return FishScript(program, nodes);
  const std::string script =
      fmt::format("{}complete -o filenames -F {} {}\n", BashFunction(program, nodes),
                  FunctionName(program), program);
  if (shell == "bash") return script;
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + script;
  return InvalidArgument("\"{}\": completion is written for bash, zsh and fish", shell);
}

}  // namespace crowdteach::cli
