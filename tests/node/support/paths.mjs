// Request targets that servers read in different ways, and what becomes of them.

export const FORWARDED = "forwarded";
export const INVALID = "400 path_invalid";
export const AMBIGUOUS = "400 path_ambiguous";
export const PROTECTED = "401 token_missing";
export const NOT_FOUND = "404 not_found";
export const RUNTIME = "refused by the runtime";

/** Bytes of a text, as characters. */
export const utf8 = (text) => Buffer.from(text).toString("latin1");
/** A text with each of its bytes percent-encoded. */
export const encoded = (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join("");

/**
 * Target, and what becomes of it where only /public is public, and where everything but /admin is. What servers read in different
 * ways is ambiguous where the readings meet routes of different policies, and forwarded as it came where they do not.
 */
export const targets = [
  // as they should be
  ["/admin", PROTECTED, PROTECTED], ["/admin/", PROTECTED, PROTECTED], ["/admin/users", PROTECTED, PROTECTED],
  ["/admin/users/", PROTECTED, PROTECTED], ["/public", FORWARDED, FORWARDED], ["/public/", FORWARDED, FORWARDED],
  ["/public/a", FORWARDED, FORWARDED], ["/public/a/", FORWARDED, FORWARDED], ["/public/admin", FORWARDED, FORWARDED],
  ["/", NOT_FOUND, FORWARDED], ["/publicx", NOT_FOUND, FORWARDED], ["/publi", NOT_FOUND, FORWARDED],
  ["/administrator", NOT_FOUND, FORWARDED], ["/adm", NOT_FOUND, FORWARDED], ["/a/admin", NOT_FOUND, FORWARDED],
  // query and fragment
  ["/admin?", PROTECTED, PROTECTED], ["/admin?x=/public", PROTECTED, PROTECTED], ["/admin?/../public/a", PROTECTED, PROTECTED],
  ["/admin#/public", PROTECTED, PROTECTED], ["/admin/#/../../public", PROTECTED, PROTECTED], ["/public?next=/admin", FORWARDED, FORWARDED],
  ["/public/a?x=/../admin", FORWARDED, FORWARDED], ["/public/a?x=%2e%2e%2fadmin;//\\", FORWARDED, FORWARDED],
  ["/public/a?b?c&d=%zz", FORWARDED, FORWARDED], ["/public#/../admin", FORWARDED, FORWARDED], ["/public/a?", FORWARDED, FORWARDED],
  ["/public/a?b#c", FORWARDED, FORWARDED], ["/admin%3Fx", AMBIGUOUS, AMBIGUOUS], ["/admin%23/public", AMBIGUOUS, AMBIGUOUS],
  ["/admin%3f", AMBIGUOUS, AMBIGUOUS], ["/public/c%23", FORWARDED, FORWARDED], ["/?/admin", NOT_FOUND, FORWARDED],
  // empty segments
  ["//admin", AMBIGUOUS, AMBIGUOUS], ["///admin", AMBIGUOUS, AMBIGUOUS], ["/admin//", PROTECTED, PROTECTED], ["//admin/users", AMBIGUOUS, AMBIGUOUS],
  ["/admin//users", PROTECTED, PROTECTED], ["/public//admin", FORWARDED, FORWARDED], ["/public//../admin", INVALID, INVALID],
  ["//127.0.0.1/admin", NOT_FOUND, FORWARDED], ["//elsewhere.example/public/a", NOT_FOUND, FORWARDED],
  [`/admin${"/".repeat(2000)}`, PROTECTED, PROTECTED],
  // encoded letters
  ["/%61dmin", AMBIGUOUS, AMBIGUOUS], ["/%61%64%6d%69%6e", AMBIGUOUS, AMBIGUOUS], ["/admi%6E", AMBIGUOUS, AMBIGUOUS],
  ["/%61dmin/users", AMBIGUOUS, AMBIGUOUS], ["/%70ublic/a", AMBIGUOUS, FORWARDED], ["/public/%7Ea%2Db", FORWARDED, FORWARDED],
  // encoded separators
  ["/admin%2fusers", AMBIGUOUS, AMBIGUOUS], ["/admin%2F", AMBIGUOUS, AMBIGUOUS], ["/%2fadmin", AMBIGUOUS, AMBIGUOUS],
  ["/public/..%2fadmin", INVALID, INVALID],
  ["/public%2f..%2fadmin", INVALID, INVALID], ["/public/%2E%2E%2Fadmin", INVALID, INVALID], ["/%5cadmin", AMBIGUOUS, AMBIGUOUS],
  ["/public/..%5cadmin", INVALID, INVALID], ["/public%5C..%5Cadmin", INVALID, INVALID],
  // backslashes
  ["/\\admin", INVALID, INVALID], ["/public\\..\\admin", INVALID, INVALID], ["/public/..\\admin", INVALID, INVALID],
  ["/admin\\users", INVALID, INVALID],
  ["\\admin", RUNTIME, RUNTIME],
  // dot segments
  ["/./admin", INVALID, INVALID], ["/../admin", INVALID, INVALID], ["/public/../admin", INVALID, INVALID],
  ["/public/./../admin", INVALID, INVALID],
  ["/public/%2e%2e/admin", INVALID, INVALID], ["/public/.%2e/admin", INVALID, INVALID], ["/public/%2E./admin", INVALID, INVALID],
  ["/admin/..", INVALID, INVALID], ["/admin/.", INVALID, INVALID], ["/admin/../public/a", INVALID, INVALID],
  ["/public/a/..", INVALID, INVALID],
  ["/public/..%20/admin", INVALID, INVALID], ["/public/%20../admin", INVALID, INVALID], ["/public../admin", AMBIGUOUS, FORWARDED],
  ["/public/.../admin", FORWARDED, FORWARDED], ["/admin.", AMBIGUOUS, AMBIGUOUS], ["/admin..", AMBIGUOUS, AMBIGUOUS],
  ["/.admin", NOT_FOUND, FORWARDED],
  // parameters
  ["/admin;x", AMBIGUOUS, AMBIGUOUS], ["/admin;", AMBIGUOUS, AMBIGUOUS], ["/admin;a=b/users", AMBIGUOUS, AMBIGUOUS], ["/;/admin", AMBIGUOUS, AMBIGUOUS],
  ["/public/..;/admin", INVALID, INVALID], ["/public;/../admin", INVALID, INVALID], ["/admin%3bx", AMBIGUOUS, AMBIGUOUS],
  ["/public/..%3b/admin", INVALID, INVALID],
  // encoded twice
  ["/%2561dmin", AMBIGUOUS, AMBIGUOUS], ["/%25%36%31dmin", AMBIGUOUS, AMBIGUOUS], ["/%256%31dmin", AMBIGUOUS, AMBIGUOUS],
  ["/%25%361dmin", AMBIGUOUS, AMBIGUOUS],
  ["/%252561dmin", AMBIGUOUS, AMBIGUOUS], ["/public/%252e%252e/admin", INVALID, INVALID], ["/public/..%252fadmin", INVALID, INVALID],
  ["/public/%25%32%65%25%32%65/admin", INVALID, INVALID], ["/public/..%25%32%66admin", INVALID, INVALID],
  ["/public/..%25%35%63admin", INVALID, INVALID],
  ["/admin%253bx", AMBIGUOUS, AMBIGUOUS], [`/%25${encoded("６１")}dmin`, AMBIGUOUS, AMBIGUOUS], ["/public/100%25", FORWARDED, FORWARDED],
  // not percent-encoding at all
  ["/%", INVALID, INVALID], ["/%4", INVALID, INVALID], ["/%zz", INVALID, INVALID], ["/admin%", INVALID, INVALID],
  ["/%u0061dmin", INVALID, INVALID],
  ["/public/%u002e%u002e/admin", INVALID, INVALID], ["/public/%u2215..%u2215admin", INVALID, INVALID],
  // not UTF-8: overlong forms, stray bytes
  ["/%c0%ae%c0%ae/admin", INVALID, INVALID], ["/public/%c0%ae%c0%ae%c0%afadmin", INVALID, INVALID], ["/%c1%a1dmin", INVALID, INVALID],
  ["/%e0%81%a1dmin", INVALID, INVALID], ["/%ff", NOT_FOUND, FORWARDED], ["/public/%ed%a0%80", INVALID, INVALID],
  // control characters and blanks
  ["/admin%00", INVALID, INVALID], ["/%00admin", INVALID, INVALID], ["/admin%00.css", INVALID, INVALID],
  ["/public/%00/../admin", INVALID, INVALID],
  ["/admin%0a", INVALID, INVALID], ["/admin%0d%0aX:y", INVALID, INVALID], ["/admin%09", INVALID, INVALID], ["/admin%7f", INVALID, INVALID],
  ["/admin%c2%85", INVALID, INVALID], ["/public/a\x00", RUNTIME, RUNTIME], ["/admin\tx", RUNTIME, RUNTIME],
  ["/admin%20", AMBIGUOUS, AMBIGUOUS],
  ["/%20admin", AMBIGUOUS, AMBIGUOUS], ["/admin%20/users", AMBIGUOUS, AMBIGUOUS], [`/admin${encoded("\u00a0")}`, AMBIGUOUS, AMBIGUOUS],
  ["/public/a%20b", FORWARDED, FORWARDED], ["/public/%20/admin", INVALID, INVALID],
  // letters of another case
  ["/Admin", AMBIGUOUS, AMBIGUOUS], ["/ADMIN/users", AMBIGUOUS, AMBIGUOUS], ["/%41dmin", AMBIGUOUS, AMBIGUOUS],
  ["/admiN/", AMBIGUOUS, AMBIGUOUS],
  [`/adm${encoded("ı")}n`, AMBIGUOUS, AMBIGUOUS], [`/adm${encoded("İ")}n`, AMBIGUOUS, AMBIGUOUS], ["/PUBLIC/a", AMBIGUOUS, FORWARDED],
  ["/public/ADMIN", FORWARDED, FORWARDED],
  // compatibility forms
  [`/${encoded("ａ")}dmin`, AMBIGUOUS, AMBIGUOUS], [`/${encoded("ａｄｍｉｎ")}`, AMBIGUOUS, AMBIGUOUS],
  [`/${encoded("ＡＤＭＩＮ")}/users`, AMBIGUOUS, AMBIGUOUS],
  [`/${encoded("𝐚𝒅")}min`, AMBIGUOUS, AMBIGUOUS], [`/${encoded("ⓐ")}dmin`, AMBIGUOUS, AMBIGUOUS],
  [`/${encoded("ª")}dmin`, AMBIGUOUS, AMBIGUOUS],
  [`/a${encoded("㍷")}in`, AMBIGUOUS, AMBIGUOUS], [`/${encoded("／")}admin`, AMBIGUOUS, AMBIGUOUS],
  [`/public/..${encoded("／")}admin`, INVALID, INVALID],
  [`/public/${encoded("．．")}/admin`, INVALID, INVALID], [`/public/${encoded("‥")}/admin`, INVALID, INVALID],
  [`/public/${encoded("︰")}/admin`, INVALID, INVALID],
  [`/public/.${encoded("․")}/admin`, INVALID, INVALID], [`/admin${encoded("；")}x`, AMBIGUOUS, AMBIGUOUS],
  [`/admin${encoded("︔")}x`, AMBIGUOUS, AMBIGUOUS],
  [`/${encoded("％")}61dmin`, AMBIGUOUS, AMBIGUOUS], [`/public/..${encoded("＼")}admin`, INVALID, INVALID],
  [`/${encoded("℀")}`, NOT_FOUND, FORWARDED],
  [utf8("/ａdmin"), AMBIGUOUS, AMBIGUOUS], [utf8("/public/．．/admin"), INVALID, INVALID], [utf8("/public/é"), FORWARDED, FORWARDED],
  [`/public/${encoded("日本")}`, FORWARDED, FORWARDED], [`/${encoded("日本")}`, NOT_FOUND, FORWARDED],
  [`/${encoded("ａｂｏｕｔ")}-us`, NOT_FOUND, FORWARDED],
  // absolute and other forms of the target
  ["http://127.0.0.1/admin", PROTECTED, PROTECTED], ["http://elsewhere.example/admin", PROTECTED, PROTECTED],
  ["HTTP://elsewhere.example/admin", PROTECTED, PROTECTED],
  ["http://elsewhere.example//admin", AMBIGUOUS, AMBIGUOUS], ["http://elsewhere.example/public/../admin", INVALID, INVALID],
  ["http://user:pass@elsewhere.example/admin", PROTECTED, PROTECTED], ["http://elsewhere.example/public/a", FORWARDED, FORWARDED],
  ["http://elsewhere.example", NOT_FOUND, FORWARDED], ["http://elsewhere.example?/admin", NOT_FOUND, FORWARDED],
  ["http://elsewhere.example#/admin", NOT_FOUND, FORWARDED],
  ["admin", NOT_FOUND, FORWARDED], ["admin/users", RUNTIME, RUNTIME], ["?", RUNTIME, RUNTIME], ["#", RUNTIME, RUNTIME],
  ["http:/admin", RUNTIME, RUNTIME],
  // long ones
  [`/public/${"a".repeat(10_000)}`, FORWARDED, FORWARDED], [`/public/${"a/".repeat(5_000)}../admin`, INVALID, INVALID],
  [`/admin/${"a/".repeat(5_000)}`, PROTECTED, PROTECTED], [`/public/${"%61".repeat(5_000)}`, FORWARDED, FORWARDED],
  [`/${"a".repeat(200_000)}`, RUNTIME, RUNTIME],
  // ordinary ones
  ["/public/group%2Fproject", FORWARDED, FORWARDED], ["/public/@scope%2fname", FORWARDED, FORWARDED], ["/public/https://a.example//b", FORWARDED, FORWARDED],
  ["/public/map;v=1/x;y", FORWARDED, FORWARDED], ["/public/a%2520b", FORWARDED, FORWARDED], ["/public/caf%E9/%fcber", FORWARDED, FORWARDED],
  ["/public/%2B%2C%3A%40%3D%26", FORWARDED, FORWARDED], [`/public/${encoded("ＡＢ")}`, FORWARDED, FORWARDED], ["/public/a|b", FORWARDED, FORWARDED], ['/public/a^b{c}d"', FORWARDED, FORWARDED],
  [`/public/caf${encoded("e\u0301")}`, FORWARDED, FORWARDED], ["/public/C%5CD", FORWARDED, FORWARDED],
  // characters that are not shown
  [`/ad${encoded("\u00ad")}min`, AMBIGUOUS, AMBIGUOUS], [`/admin${encoded("\u200b")}`, AMBIGUOUS, AMBIGUOUS], [`/${encoded("\ufeff")}admin/users`, AMBIGUOUS, AMBIGUOUS],
  ["/admin%20./users", AMBIGUOUS, AMBIGUOUS], [`/public/.${encoded("\u2060")}./admin`, INVALID, INVALID],
  // what stands for itself
  ["/admin:x", NOT_FOUND, FORWARDED], ["/admin,x", NOT_FOUND, FORWARDED], ["/admin=x", NOT_FOUND, FORWARDED],
  ["/admin@x", NOT_FOUND, FORWARDED],
  ["/admin&x", NOT_FOUND, FORWARDED], ["/admin*", NOT_FOUND, FORWARDED], ["/(admin)", NOT_FOUND, FORWARDED],
  ["/admin+", NOT_FOUND, FORWARDED],
  ["/public/~!$&'()*+,=:@", FORWARDED, FORWARDED],
];
