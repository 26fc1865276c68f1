// What `crowdteach-audit show` prints: tables, JSON, CSV.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "ledger/audit/summary.h"

namespace crowdteach::audit {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

// Columns as wide as their widest cell; numbers to the right, the columns of `left` to the left.
std::string Table(const std::vector<Row>& rows, const std::vector<size_t>& left) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const bool to_left = std::find(left.begin(), left.end(), i) != left.end();
      line += "  ";
      line += to_left ? fmt::format("{:<{}}", row[i], widths[i])
                      : fmt::format("{:>{}}", row[i], widths[i]);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text += line + "\n";
  }
  return text;
}

std::string NameIn(const CampaignSummary& campaign, uint64_t account) {
  for (const TeacherSummary& teacher : campaign.teachers) {
    if (teacher.account == account) return teacher.name;
  }
  return "";
}

std::string Status(const TeacherRound& seat, const RoundSummary& round) {
  if (!seat.rejected.empty()) return "rejected: " + seat.rejected;
  if (seat.included) return "included";
  return round.settled ? "absent" : "";  // selected, but never committed
}

std::string RoundsTable(const CampaignSummary& campaign) {
  std::vector<Row> rows = {
      {"round", "outcome", "pass", "loss", "accuracy", "value", "included", "rejected"}};
  for (const RoundSummary& round : campaign.rounds) {
    std::string rejected;
    for (const TeacherRound& seat : round.teachers) {
      if (seat.rejected.empty()) continue;
      rejected += fmt::format("{}{} ({})", rejected.empty() ? "" : ", ",
                              NameIn(campaign, seat.account), seat.rejected);
    }
    const auto figure = [&](double value) {
      return round.settled ? fmt::format("{:.4f}", value) : std::string("-");
    };
    rows.push_back({fmt::format("{}", round.round), round.outcome, fmt::format("{}", round.pass),
                    figure(round.loss), figure(round.accuracy), figure(round.value_nats),
                    fmt::format("{}", round.included), rejected});
  }
  return Table(rows, {1, 7});
}

std::string ScoresTable(const CampaignSummary& campaign) {
  std::vector<Row> rows = {
      {"round", "account", "teacher", "weight", "pass", "score", "error", "reward", "status"}};
  for (const RoundSummary& round : campaign.rounds) {
    for (const TeacherRound& seat : round.teachers) {
      const bool scored = seat.pass > 0;
      rows.push_back({fmt::format("{}", round.round), fmt::format("{}", seat.account),
                      NameIn(campaign, seat.account), fmt::format("{}", seat.weight),
                      scored ? fmt::format("{}", seat.pass) : "-",
                      scored ? fmt::format("{:.6f}", seat.score_nats) : "-",
                      scored ? fmt::format("{:.6f}", seat.stderr_nats) : "-",
                      fmt::format("{}", seat.reward_credits), Status(seat, round)});
    }
  }
  return Table(rows, {2, 8});
}

std::string TeachersTable(const CampaignSummary& campaign) {
  std::vector<Row> rows = {{"account", "teacher", "examples", "score", "error", "reward", "stake"}};
  for (const TeacherSummary& teacher : campaign.teachers) {
    rows.push_back(
        {fmt::format("{}", teacher.account), teacher.name, fmt::format("{}", teacher.examples),
         fmt::format("{:.6f}", teacher.score_nats), fmt::format("{:.6f}", teacher.stderr_nats),
         fmt::format("{}", teacher.reward_credits), fmt::format("{}", teacher.stake_credits)});
  }
  return Table(rows, {1});
}

Json SeatJson(const TeacherRound& seat, const CampaignSummary& campaign) {
  Json json = {{"account", seat.account},
               {"name", NameIn(campaign, seat.account)},
               {"included", seat.included},
               {"rejected", seat.rejected.empty() ? Json() : Json(seat.rejected)},
               {"pass", seat.pass},
               {"weight", seat.weight},
               {"clip_factor", seat.clip_factor}};
  json["score_nats"] = seat.pass > 0 ? Json(seat.score_nats) : Json();
  json["stderr_nats"] = seat.pass > 0 ? Json(seat.stderr_nats) : Json();
  json["counted"] = seat.counted;
  json["reward_credits"] = seat.reward_credits;
  return json;
}

Json RoundJson(const RoundSummary& round, const CampaignSummary& campaign) {
  Json json = {{"round", round.round}, {"outcome", round.outcome}, {"pass", round.pass}};
  json["loss"] = round.settled ? Json(round.loss) : Json();
  json["accuracy"] = round.settled ? Json(round.accuracy) : Json();
  json["value_nats"] = round.settled ? Json(round.value_nats) : Json();
  json["teachers"] = Json::array();
  for (const TeacherRound& seat : round.teachers) {
    json["teachers"].push_back(SeatJson(seat, campaign));
  }
  return json;
}

Json CampaignJson(const CampaignSummary& campaign) {
  Json json = {{"campaign", campaign.campaign},
               {"name", campaign.name},
               {"owner", campaign.owner},
               {"phase", campaign.phase},
               {"settled_rounds", campaign.settled_rounds},
               {"accuracy", campaign.accuracy},
               {"loss", campaign.loss},
               {"value_nats", campaign.value_nats},
               {"model_digest", campaign.model_digest},
               {"budget_credits", campaign.budget_credits},
               {"escrow_credits", campaign.escrow_credits}};
  json["teachers"] = Json::array();
  for (const TeacherSummary& teacher : campaign.teachers) {
    json["teachers"].push_back({{"account", teacher.account},
                                {"name", teacher.name},
                                {"examples", teacher.examples},
                                {"score_nats", teacher.score_nats},
                                {"stderr_nats", teacher.stderr_nats},
                                {"reward_credits", teacher.reward_credits},
                                {"stake_credits", teacher.stake_credits}});
  }
  json["rounds"] = Json::array();
  for (const RoundSummary& round : campaign.rounds) {
    json["rounds"].push_back(RoundJson(round, campaign));
  }
  return json;
}

// RFC 4180; names are printable ASCII.
// Other people's text. A spreadsheet would compute what begins like a formula: an apostrophe says
// that it is text.
std::string CsvCell(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t").find(text[0]) != std::string_view::npos) {
    text.insert(0, 1, '\'');
  }
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

}  // namespace

std::string SummaryTable(const Summary& summary) {
  if (summary.entries == 0) return "the log is empty\n";
  std::string text;
  for (const CampaignSummary& campaign : summary.campaigns) {
    text += fmt::format(
        "campaign {}  \"{}\" of {}: {}, {} rounds settled\n"
        "model {}\nloss {:.4f} -> {:.4f}, accuracy {:.4f} -> {:.4f}; budget {}, left in escrow {} "
        "{}\n",
        campaign.campaign, campaign.name, campaign.owner, campaign.phase, campaign.settled_rounds,
        campaign.model_digest, campaign.loss.front(), campaign.loss.back(),
        campaign.accuracy.front(), campaign.accuracy.back(), campaign.budget_credits,
        campaign.escrow_credits, summary.asset);
    text += "\nrounds\n" + RoundsTable(campaign);
    text += "\nscores and rewards by round (nats, " + summary.asset + ")\n" + ScoresTable(campaign);
    text += "\nteachers (sums over the rounds that were settled or charged them)\n" +
            TeachersTable(campaign) + "\n";
  }
  std::vector<Row> rows = {{"account", "name", "role", "available"}};
  for (const AccountSummary& account : summary.accounts) {
    rows.push_back({fmt::format("{}", account.account), account.name, account.role,
                    fmt::format("{}", account.available_credits)});
  }
  return text + "accounts\n" + Table(rows, {1, 2});
}

std::string SummaryJson(const Summary& summary) {
  Json json = {{"entries", summary.entries}, {"asset", summary.asset}};
  json["campaigns"] = Json::array();
  for (const CampaignSummary& campaign : summary.campaigns) {
    json["campaigns"].push_back(CampaignJson(campaign));
  }
  json["accounts"] = Json::array();
  for (const AccountSummary& account : summary.accounts) {
    json["accounts"].push_back({{"account", account.account},
                                {"name", account.name},
                                {"role", account.role},
                                {"available_credits", account.available_credits}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string SummaryCsv(const Summary& summary) {
  std::string text =
      "campaign,round,pass,account,name,weight,clip_factor,score_nats,stderr_nats,counted,"
      "reward_credits,status\n";
  for (const CampaignSummary& campaign : summary.campaigns) {
    for (const RoundSummary& round : campaign.rounds) {
      for (const TeacherRound& seat : round.teachers) {
        const bool scored = seat.pass > 0;
        text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", campaign.campaign, round.round,
                            seat.pass, seat.account, CsvCell(NameIn(campaign, seat.account)),
                            seat.weight, seat.clip_factor,
                            scored ? fmt::format("{}", seat.score_nats) : "",
                            scored ? fmt::format("{}", seat.stderr_nats) : "", seat.counted ? 1 : 0,
                            seat.reward_credits, CsvCell(Status(seat, round)));
      }
    }
  }
  return text;
}

}  // namespace crowdteach::audit
