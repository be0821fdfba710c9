# Mail::IMAPClient: real.pl PORT CERTIFICATE PASSWORD
use strict;
use warnings;
use Mail::IMAPClient;

my ($port, $cert, $password) = @ARGV;
my $imap = Mail::IMAPClient->new(
    Server => 'localhost', Port => $port, User => 'pat', Password => $password,
    Ssl => [SSL_ca_file => $cert], Uid => 1,
) or die "connect: $@";
$imap->select('INBOX') or die $imap->LastError;
my @messages = $imap->messages;
print "messages " . @messages . "\n";
print "subject " . $imap->subject($messages[0]) . "\n";
my @found = $imap->search('SUBJECT', 'NUMBER 1', 'BODY', 'bits');
print "found " . join(' ', map { $imap->subject($_) } @found) . "\n";
$imap->set_flag('Flagged', $messages[0]) or die $imap->LastError;
print "flags " . join(' ', grep { $_ ne '\\Recent' } $imap->flags($messages[0])) . "\n";
$imap->create('Perl') or die $imap->LastError;
$imap->move('Perl', $messages[0]) or die $imap->LastError;
$imap->expunge or die $imap->LastError;
$imap->select('Perl') or die $imap->LastError;
print "copied " . scalar(@{[$imap->messages]}) . "\n";
my $idle = $imap->idle or die $imap->LastError;
$imap->done($idle) or die $imap->LastError;
print "idle ok\n";
$imap->select('INBOX') or die $imap->LastError;
print "left " . scalar(@{[$imap->messages]}) . "\n";
$imap->logout;
