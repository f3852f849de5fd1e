<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** An order may be paid until later. */
final class OrderExtended extends Message
{
}
