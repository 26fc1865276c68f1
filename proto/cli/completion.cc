// Completion scripts. All three shells get the same table: the words that may follow a path of
// subcommands; anything else is completed as a file name. A script is sourced by its user or
// installed in the shell's folder.
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
  const std::vector<const CLI::App*> subcommands = Subcommands(app);
  for (const CLI::App* subcommand : subcommands) node.words.push_back(subcommand->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) node.words.push_back("--" + name);
    for (const std::string& name : option->get_snames()) node.words.push_back("-" + name);
  }
  nodes.push_back(std::move(node));
  for (const CLI::App* subcommand : subcommands) {
    const std::string name = subcommand->get_name();
    Collect(*subcommand, path.empty() ? name : fmt::format("{} {}", path, name), nodes);
  }
}

std::string FunctionName(std::string_view program) {
  std::string name = "_";
  for (const char c : program) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

// The table as shell code: two case statements. The path is made of the words that are subcommands,
// so options may stand between them. `word` is the shell's i-th word.
std::string CaseOfPaths(std::string_view word, const std::vector<Node>& nodes) {
  std::string script = fmt::format("    case \"$place {}\" in\n", word);
  for (const Node& node : nodes) {
    if (!node.path.empty()) script += fmt::format("      \" {0}\") place=\" {0}\" ;;\n", node.path);
  }
  script += "    esac\n  done\n  case \"$place\" in\n";
  for (const Node& node : nodes) {
    script += fmt::format("    \"{}{}\") choices=\"{}\" ;;\n", node.path.empty() ? "" : " ",
                          node.path, fmt::join(node.words, " "));
  }
  return script + "  esac\n";
}

std::string BashScript(std::string_view program, const std::vector<Node>& nodes) {
  return fmt::format(
      "{0}() {{\n  local current=\"${{COMP_WORDS[COMP_CWORD]}}\" place=\"\" choices=\"\" i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n{2}"
      "  COMPREPLY=($(compgen -W \"$choices\" -- \"$current\"))\n"
      "  if ((${{#COMPREPLY[@]}} == 0)); then COMPREPLY=($(compgen -f -- \"$current\")); fi\n}}\n"
      "complete -o filenames -F {0} {1}\n",
      FunctionName(program), program, CaseOfPaths("${COMP_WORDS[i]}", nodes));
}

// Installed, the file is the function's body at its first call; sourced, it registers itself.
std::string ZshScript(std::string_view program, const std::vector<Node>& nodes) {
  return fmt::format(
      "#compdef {1}\n{0}() {{\n  local place=\"\" choices=\"\" i\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n{2}"
      "  compadd -- ${{=choices}}\n  ((compstate[nmatches] > 0)) || _files\n}}\n"
      "if [[ ${{funcstack[1]}} == {0} ]]; then {0} \"$@\"; else compdef {0} {1}; fi\n",
      FunctionName(program), program, CaseOfPaths("${words[i]}", nodes));
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
  const std::string& program = app.get_name();
  if (shell == "fish") return FishScript(program, nodes);
  if (shell == "bash") return BashScript(program, nodes);
  if (shell == "zsh") return ZshScript(program, nodes);
  return InvalidArgument("\"{}\": completion is written for bash, zsh and fish", shell);
}

}  // namespace crowdteach::cli
