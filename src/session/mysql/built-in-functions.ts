/**
 * Words that may stand before a parenthesis and touch no table: functions that MySQL and MariaDB have built in, and words of the grammar.
 * Not here are those that do something else than compute: SLEEP and GET_LOCK are, since they touch no table; LOAD_FILE reads no table either.
 */
export const beforeParenthesis: ReadonlySet<string> = new Set(`
  abs acos adddate addtime aes_decrypt aes_encrypt any_value ascii asin atan atan2 avg benchmark bin bin_to_uuid bit_and bit_count bit_length bit_or bit_xor cast ceil ceiling
  char char_length character_length charset chr coalesce coercibility collation compress concat concat_ws connection_id conv convert convert_tz cos cot count crc32 crc32c
  cume_dist curdate current_date current_role current_time current_timestamp current_user curtime database date date_add date_format date_sub datediff day dayname dayofmonth
  dayofweek dayofyear decode default degrees dense_rank elt encode exp export_set extract extractvalue field find_in_set first_value floor format format_bytes format_pico_time
  found_rows from_base64 from_days from_unixtime get_format get_lock greatest group_concat grouping hex hour if ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr interval
  is_free_lock is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_used_lock is_uuid isnull json_array json_array_append json_array_insert json_arrayagg json_compact json_contains
  json_contains_path json_depth json_detailed json_equals json_exists json_extract json_insert json_keys json_length json_loose json_merge json_merge_patch json_merge_preserve
  json_normalize json_object json_objectagg json_overlaps json_pretty json_query json_quote json_remove json_replace json_schema_valid json_search json_set json_storage_size
  json_table json_type json_unquote json_valid json_value lag last_day last_insert_id last_value lcase lead least left length lengthb ln localtime localtimestamp locate log log10
  log2 lower lpad ltrim make_set makedate maketime max md5 median microsecond mid min minute mod month monthname name_const now nth_value ntile nullif nvl nvl2 oct octet_length
  ord percent_rank percentile_cont percentile_disc period_add period_diff pi position pow power quarter quote radians rand random_bytes rank regexp_instr regexp_like
  regexp_replace regexp_substr release_all_locks release_lock repeat replace reverse right round row row_count row_number rpad rtrim schema sec_to_time second session_user sha sha1
  sha2 sign sin sleep soundex space sqrt std stddev stddev_pop stddev_samp str_to_date strcmp subdate substr substring substring_index subtime sum sys_guid sysdate system_user tan
  time time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_char to_days to_seconds trim truncate ucase uncompress uncompressed_length unhex
  unix_timestamp updatexml upper user utc_date utc_time utc_timestamp uuid uuid_short uuid_to_bin validate_password_strength value values var_pop var_samp variance version week
  weekday weekofyear weight_string year yearweek st_astext st_aswkb st_geomfromtext st_geomfromwkb st_x st_y st_srid st_distance st_contains st_within point
  all and any as between binary by case check column columns distinct div else end escape except exists from full having in index inner intersect into is join key keys lateral like
  limit match against mediumint bigint int integer tinyint smallint decimal numeric float double bit varchar varbinary blob text datetime enum set nchar national character
  natural not offset on or order over partition primary range references regexp rlike select some straight_join table then union unique unsigned using when where with within xor
  window rows hash list linear foreign fulltext spatial add cross distinctrow fields lines ignore force
`.trim().split(/\s+/));

/**
 * With a space before the parenthesis these are names like any other, and may be functions of the database's own:
 * https://dev.mysql.com/doc/refman/en/function-resolution.html
 */
export const onlyWithoutSpace: ReadonlySet<string> = new Set(`
  adddate bit_and bit_or bit_xor cast count curdate curtime date_add date_sub extract group_concat max mid min now position session_user std stddev stddev_pop stddev_samp
  subdate substr substring sum sysdate system_user trim variance var_pop var_samp
`.trim().split(/\s+/));
