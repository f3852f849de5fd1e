<?php

declare(strict_types=1);

namespace Stockade\Input;

use DateTimeImmutable;
use DateTimeInterface;
use DateTimeZone;
use Stockade\Exception\Misuse;

/**
 * Moments as microseconds since 1970 in UTC, as the engine keeps them.
 */
final class Moment
{
    /** The end of the year 9999. */
    private const SECONDS_MAX = 253_402_300_799;
    /** RFC 3339: date, time, fraction and offset. */
    private const TEXT = '/^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)'
        . '(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/D';

    /**
     * The microseconds of a {@see DateTimeInterface} or of a text in the form of RFC 3339.
     *
     * @return ?int null for what is no moment from 1970 to 9999
     */
    public static function micros(mixed $moment): ?int
    {
        if ($moment instanceof DateTimeInterface) {
            return self::within((int) $moment->format('U'), (int) $moment->format('u'));
        }
        if (!is_string($moment) || preg_match(self::TEXT, $moment, $found) !== 1) {
            return null;
        }
        [, $year, $month, $day, $hour, $minute, $second] = array_map(intval(...), $found);
        [$ahead, $aheadMinutes] = [(int) ($found[9] ?? 0), (int) ($found[10] ?? 0)];
        if (!checkdate($month, $day, max($year, 1)) || max($hour, $ahead) > 23) {
            return null;
        }
        if (max($minute, $second, $aheadMinutes) > 59) {
            return null;
        }
        $offset = ($ahead * 60 + $aheadMinutes) * 60 * (($found[8] ?? '') === '-' ? -1 : 1);
        $seconds = (int) gmmktime($hour, $minute, $second, $month, $day, $year) - $offset;
        return self::within($seconds, (int) substr(str_pad($found[7] ?? '', 6, '0'), 0, 6));
    }

    /** The moment of these microseconds, in UTC. */
    public static function at(int $micros): DateTimeImmutable
    {
        $rest = $micros % 1_000_000;
        $utc = new DateTimeZone('UTC');
        $text = sprintf('%d.%06d', intdiv($micros - $rest, 1_000_000), $rest);
        $moment = DateTimeImmutable::createFromFormat('U.u', $text, $utc);
        if ($moment === false) {
            throw Misuse::because("{$micros} is no moment");
        }
        return $moment->setTimezone($utc);
    }

    private static function within(int $seconds, int $micros): ?int
    {
        return $seconds >= 0 && $seconds <= self::SECONDS_MAX ? $seconds * 1_000_000 + $micros : null;
    }
}
