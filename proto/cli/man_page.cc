// Manual pages: one a program, from the same CLI11 definitions as --help.
#include <sstream>
#include <string>
#include <vector>

#include "fmt/ranges.h"
#include "proto/cli/cli.h"

namespace crowdteach::cli {
namespace {

// Text that troff shows as it stands.
std::string Escape(std::string_view text) {
  std::string escaped;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      escaped += c;
    }
    line_start = c == '\n';
  }
  return escaped;
}

std::string Bold(std::string_view text) { return fmt::format("\\fB{}\\fR", Escape(text)); }
std::string Italic(std::string_view text) { return fmt::format("\\fI{}\\fR", Escape(text)); }

// Lines as they stand, indented.
std::string Verbatim(std::string_view lines) {
  return fmt::format(".PP\n.RS 2\n.nf\n{}{}.fi\n.RE\n", Escape(lines),
                     lines.ends_with('\n') ? "" : "\n");
}

std::string Described(std::string_view term, std::string_view description) {
  return fmt::format(".TP\n{}\n{}\n", term, Escape(description));
}

// What follows an option's name on the command line.
std::string Value(const CLI::Option& option) {
  return option.get_type_size() == 0 ? "" : option.get_type_name();  // none: a flag
}

std::string OptionTerm(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back(Bold("-" + name));
  for (const std::string& name : option.get_lnames()) names.push_back(Bold("--" + name));
  if (names.empty()) return Italic(option.get_name(true));
  const std::string value = Value(option);
  return fmt::format("{}{}", fmt::join(names, ", "), value.empty() ? "" : " " + Italic(value));
}

std::string OptionDescription(const CLI::Option& option) {
  std::string text = option.get_description();
  if (option.get_required()) text += text.empty() ? "Required" : " (required)";
  if (option.get_type_size() != 0 && !option.get_default_str().empty()) {
    text += fmt::format(" [{}]", option.get_default_str());
  }
  return text;
}

bool Shown(const CLI::Option& option) { return !option.get_group().empty(); }

std::string Options(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (Shown(*option)) text += Described(OptionTerm(*option), OptionDescription(*option));
  }
  return text;
}

// The line people type: required options and arguments by name, the others as [OPTIONS].
std::string Synopsis(const CLI::App& command, const std::string& path) {
  std::string line = fmt::format("{} [{}]", Bold(path), Italic("OPTIONS"));
  for (const CLI::Option* option : command.get_options()) {
    if (!Shown(*option)) continue;
    if (option->get_positional()) {
      const std::string name = Italic(option->get_name(true));
      line += option->get_required() ? " " + name : " [" + name + "]";
    } else if (option->get_required()) {
      line += " " + OptionTerm(*option);
    }
  }
  return line;
}

void AddCommands(const CLI::App& app, const std::string& path, std::string& text) {
  for (const CLI::App* command : Subcommands(app)) {
    const std::string full = path + " " + command->get_name();
    text += fmt::format(".SS {}\n{}\n.PP\n{}\n{}", Escape(command->get_name()),
                        Synopsis(*command, full), Escape(command->get_description()),
                        Options(*command));
    const std::string footer = command->get_footer();
    const size_t examples = footer.find("Examples:\n");
    if (examples != std::string::npos) {
      text += ".PP\nExamples:\n" + Verbatim(std::string_view(footer).substr(examples + 10));
    }
    AddCommands(*command, full, text);
  }
}

// Lines "  ‹name›  ‹description›", as in kExitCodeHelp.
std::string Table(std::string_view lines) {
  std::istringstream stream{std::string(lines)};
  std::string text, line;
  while (std::getline(stream, line)) {
    const size_t begin = line.find_first_not_of(' ');
    const size_t gap = begin == std::string::npos ? begin : line.find("  ", begin);
    if (begin != 2 || gap == std::string::npos) continue;  // a title
    text += Described(Bold(std::string_view(line).substr(begin, gap - begin)),
                      std::string_view(line).substr(line.find_first_not_of(' ', gap)));
  }
  return text;
}

// The family's other pages; `program` is left out.
std::string SeeAlso(std::string_view program) {
  std::vector<std::string> pages;
  for (const auto& [name, section] :
       {std::pair{"crowdteach", 1}, {"crowdteach-audit", 1}, {"crowdteachd", 8}}) {
    if (program != name) pages.push_back(fmt::format(".BR {} ({})", Escape(name), section));
  }
  return fmt::format("{}\n", fmt::join(pages, " ,\n"));
}

}  // namespace

std::vector<const CLI::App*> Subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) {
    return !command->get_name().empty() && !command->get_group().empty();
  });
}

std::string ManPage(const CLI::App& app, const Manual& manual) {
  const std::string& program = app.get_name();
  std::string title;
  for (const char c : program) title += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  std::string text = fmt::format(
      ".TH {} {} \"\" \"crowdteach {}\" \"crowdteach manual\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n"
      "{} {} [{}]\n.SH DESCRIPTION\n{}.\n.PP\n{} {} {} shows a command's options.\n",
      Escape(title), manual.section, CROWDTEACH_VERSION, Escape(program),
      Escape(app.get_description()), Bold(program), Italic("COMMAND"), Italic("OPTIONS"),
      Escape(app.get_description()), Bold(program), Italic("COMMAND"), Bold("--help"));
  text += ".SH OPTIONS\n" + Options(app) + ".SH COMMANDS\n";
  AddCommands(app, program, text);
  text += ".SH EXIT STATUS\n" + Table(kExitCodeHelp);
  if (!manual.files.empty()) text += ".SH FILES\n" + Table(manual.files);
  return text + ".SH SEE ALSO\n" + SeeAlso(program);
}

}  // namespace crowdteach::cli
