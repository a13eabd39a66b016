/**
 * Keys that sort on local as MySQL's collations do, where ICU has another order: the old collations compare character by character, by a
 * weight that is the code of another character.
 */
import { quoteLiteral } from '../../names.ts';
import type { Value } from './mysql-expression.ts';
import { localCollation } from './mysql-type.ts';
import type { TextCollation } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

/** `…_general_ci` of Unicode, up to U+052F; what is not listed is its own weight. Measured with WEIGHT_STRING() on MariaDB 10.11, MySQL 9.7 and 5.6. */
const generalFrom = 'abcdefghijklmnopqrstuvwxyzµÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿĀāĂăĄąĆćĈĉĊċČčĎďđĒēĔĕĖėĘęĚěĜĝĞğĠġĢģĤĥħĨĩĪīĬĭĮįİıĳĴĵĶķĹĺĻļĽľŀłŃńŅņŇňŋŌōŎŏŐőœŔŕŖŗŘřŚśŜŝŞşŠšŢţŤťŧŨũŪūŬŭŮůŰűŲųŴŵŶŷŸŹźŻżŽžſƃƅƈƌƒƕƙƠơƣƥƨƭƯưƴƶƹƽƿǅǆǈǉǋǌǍǎǏǐǑǒǓǔǕǖǗǘǙǚǛǜǝǞǟǠǡǢǣǥǦǧǨǩǪǫǬǭǮǯǰǲǳǴǵǸǹǺǻǼǽǾǿȀȁȂȃȄȅȆȇȈȉȊȋȌȍȎȏȐȑȒȓȔȕȖȗȘșȚțȝȞȟȣȥȦȧȨȩȪȫȬȭȮȯȰȱȲȳɓɔɖɗəɛɠɣɨɩɯɲɵʀʃʈʊʋʒ\u0345ΆΈΉΊΌΎΏΐΪΫάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώϐϑϓϔϕϖϛϝϟϡϣϥϧϩϫϭϯϰϱϲЀЁЃЇЌЍЎабвгдежзийклмнопрстуфхцчшщъыьэюяѐёђѓєѕіїјљњћќѝўџѡѣѥѧѩѫѭѯѱѳѵѶѷѹѻѽѿҁҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӁӂӄӈӌӐӑӒӓӕӖӗәӚӛӜӝӞӟӡӢӣӤӥӦӧөӪӫӬӭӮӯӰӱӲӳӴӵӸӹ';
const generalTo = 'ABCDEFGHIJKLMNOPQRSTUVWXYZΜAAAAAACEEEEIIIINOOOOOUUUUYSAAAAAAÆCEEEEIIIIÐNOOOOOØUUUUYÞYAAAAAACCCCCCCCDDĐEEEEEEEEEEGGGGGGGGHHĦIIIIIIIIIIĲJJKKLLLLLLĿŁNNNNNNŊOOOOOOŒRRRRRRSSSSSSSSTTTTŦUUUUUUUUUUUUWWYYYZZZZZZSƂƄƇƋƑǶƘOOƢƤƧƬUUƳƵƸƼǷǄǄǇǇǊǊAAIIOOUUUUUUUUUUƎAAAAÆÆǤGGKKOOOOƷƷJǱǱGGNNAAÆÆØØAAAAEEEEIIIIOOOORRRRUUUUSSTTȜHHȢȤAAEEOOOOOOOOYYƁƆƉƊƏƐƓƔƗƖƜƝƟƦƩƮƱƲƷΙΑΕΗΙΟΥΩΙΙΥΑΕΗΙΥΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΣΤΥΦΧΨΩΙΥΟΥΩΒΘϒϒΦΠϚϜϞϠϢϤϦϨϪϬϮΚΡΣЕЕГІКИУАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЕЕЂГЄЅІІЈЉЊЋКИУЏѠѢѤѦѨѪѬѮѰѲѴѴѴѸѺѼѾҀҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾЖЖӃӇӋААААӔЕЕӘӘӘЖЖЗЗӠИИИИООӨӨӨЭЭУУУУУУЧЧЫЫ';
/** `latin1_swedish_ci`. */
const swedishFrom = 'abcdefghijklmnopqrstuvwxyzÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖÙÚÛÜÝàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþ';
const swedishTo = 'ABCDEFGHIJKLMNOPQRSTUVWXYZAAAA\\[\\CEEEEIIIIDNOOOO]UUUYYAAAA\\[\\CEEEEIIIIDNOOOO]ØUUUYYÞ';
const lower = 'abcdefghijklmnopqrstuvwxyz';

/** The value without what its collation does not see at its end. */
export function trimmed(value: Value): string {
  if (value.type.kind !== 'text' || value.type.isTrimmed || value.type.collation?.pads === false) return value.sql;
  if (value.constant !== undefined) return `${quoteLiteral(value.constant.replace(/ +$/, ''))}::text`;
  return `rtrim(${value.sql}, ' ')`;
}

/** An expression whose order on local is that of the value on MySQL. `collation`: of the comparison. */
export function orderKey(value: Value, collation: TextCollation): string {
  const bare = collation.pads ? trimmed(value) : value.sql;
  // With PAD SPACE a shorter text goes on with blanks, which stand before most characters but not before all.
  const filled = collation.pads ? `(${bare} || ' ')` : bare;
  const { name } = collation;
  if (name.endsWith('_bin')) return `(${filled} COLLATE "C")`;
  if (/^(?:utf8|utf8mb3|utf8mb4|ucs2|utf16|utf32)_general_ci$/.test(name)) return `(translate(${filled} COLLATE "C", ${quoteLiteral(generalFrom)}, ${quoteLiteral(generalTo)}) COLLATE "C")`;
  if (name === 'latin1_swedish_ci') return `(translate(${filled} COLLATE "C", ${quoteLiteral(swedishFrom)}, ${quoteLiteral(swedishTo)}) COLLATE "C")`;
  if (name === 'ascii_general_ci') return `(translate(${filled} COLLATE "C", '${lower}', '${lower.toUpperCase()}') COLLATE "C")`;
  // Its old weights have six signs before all others, and the characters beyond U+FFFF behind them.
  if (/^utf8(?:mb[34])?_unicode_ci$/.test(name)) return `(regexp_replace(translate(${filled}, '\`^¨¯´¸', E'\\u1680\\u1680\\u1680\\u1680\\u1680\\u1680') COLLATE "C", E'[\\U00010000-\\U0010FFFF]', E'\\uFFFF', 'g') COLLATE ${localCollation(collation, value.place)})`;
  // The root collation of the Unicode standard is that of ICU but for a few signs; of a language, ICU's own.
  if (/^utf8(?:mb[34])?_(?:unicode_520|0900|uca1400)(?:_nopad)?_(?:ai_ci|as_ci|as_cs|ci|ai_cs)$/.test(name)) return `(${filled} COLLATE ${localCollation(collation, value.place)})`;
  return refuse(`order of collation ${name}`, value.place);
}
